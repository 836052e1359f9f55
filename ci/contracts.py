"""Contracts of the imports that import-linter checks and does not bring: see pyproject.toml."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PrivateModules(Contract):
    """No module imports a private module of another room.

    A room is a package, or a module, right under the root.
    """

    root = fields.StringField()

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import once."""
        wrong = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if self._room(importer) != self._room(imported)
            and any(part.startswith("_") for part in imported.split(".")[2:])
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import."""
        for importer, imported in check.metadata["wrong"]:
            output.print_error(f"{importer} imports {imported}, which is private to its room")

    def _room(self, module: str) -> str:
        return module.removeprefix(f"{self.root}.").partition(".")[0]
