"""The text of Triton kernels, written from the graphs of rules and losses."""

from limitpoint.engines.gpu.source.kernel import KernelSource, kernel_source

__all__ = ["KernelSource", "kernel_source"]
