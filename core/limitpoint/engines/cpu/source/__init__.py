"""The text of compiled units, written from the graphs of rules and losses."""

from limitpoint.engines.cpu.source.loss import loss_source
from limitpoint.engines.cpu.source.rule import RuleSource, rule_source

__all__ = ["RuleSource", "loss_source", "rule_source"]
