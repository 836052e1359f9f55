"""The claims that --paper and -k select."""

from __future__ import annotations

import argparse

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.registry import all_claims, index


def selected(args: argparse.Namespace) -> list[Claim]:
    """The claims that the options select.

    Raises:
        UsageError: there is none.
    """
    ids = [
        claim_id
        for claim_id, names in index().items()
        if (not args.paper or claim_id.partition("/")[0] in args.paper)
        and args.keyword.select(names)
    ]
    if not ids:
        raise UsageError("no claim is selected (limitpoint list shows all)")
    return [all_claims()[claim_id] for claim_id in ids]
