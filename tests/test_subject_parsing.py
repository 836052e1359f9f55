"""How the command line names a subject, and what it says of a name that is none."""

import pytest
import torch

from limitpoint import UsageError
from limitpoint.subjects import Subject, parse_subject

MALFORMED = {
    "torch.optim:SGD": "names no role: write ROLE=MODULE:ATTR",
    "torch.optim:SGD,lr=0.1": "names no role",
    "=torch.optim:SGD": "names no role",
    "adm=torch.optim:Adam": "unknown role 'adm'; did you mean adam?; roles: 1-sam, adagrad",
    "adam=": "no MODULE:ATTR",
    "adam=torch.optim": "'torch.optim' is no MODULE:ATTR: write it like torch.optim:SGD",
    "adam=no.such:Adam": "cannot import the module 'no.such' (ModuleNotFoundError",
    "adam=torch.optim:adam_": "torch.optim has no 'adam_'; did you mean Adam?",
    "adam=torch.optim:ADAM": "torch.optim has no 'ADAM'; did you mean Adam?",
    "adam=torch.optim:Adamm": "torch.optim has no 'Adamm'; did you mean Adam?",
    "gd=torch.optim:Xyz": "torch.optim has no 'Xyz'; there is ASGD, Adadelta, Adafactor, Adagrad, "
    "Adam, AdamW, Adamax, LBFGS and 8 more",
    "gd=./nowhere.py:f": "there is no file './nowhere.py': give a path as ./mine.py",
    "adam=torch.optim:Adam.Inner": "torch.optim has no 'Adam.Inner'",
    "adam=torch:__version__": "is of type TorchVersion: name a class or a function",
    "adam=torch.optim:Adam,lr": "'lr' is no option of a subject: write key=value",
    "adam=torch.optim:Adam,lr=": "'lr=' is no option",
    "adam=torch.optim:Adam,,": "'' is no option",
    "adam=torch.optim:Adam,a-b=1": "'a-b=1' is no option",
    "adam=torch.optim:Adam,lr=0.1.2": "lr=0.1.2 is no Python literal: write a number",
    "adam=torch.optim:Adam,lr=1,lr=2": "the option 'lr' is given twice",
    "adam=torch.optim:Adam,betas=(0.9,0.95": "a bracket or quote has no partner",
    "adam=torch.optim:Adam,betas=0.9)": "a bracket or quote has no partner",
    "adam=torch.optim:Adam,rate=1": "Adam takes no argument 'rate'; it takes: lr, betas",
    "adam=torch.optim:Adam,lr=-1": "lr=-1 is no step size: give a number > 0",
    "adam=torch.optim:Adam,lr=inf": "lr=inf is no step size",
    "adam=torch.optim:Adam,lr=fast": "lr='fast' is no step size",
}


class TestParsing:
    @pytest.mark.parametrize("spec", MALFORMED)
    def test_malformed(self, spec):
        with pytest.raises(UsageError) as error:
            parse_subject(spec)
        message = str(error.value)
        assert MALFORMED[spec] in message
        assert "\n" not in message

    def test_a_file_that_raises_is_named_with_its_line(self, tmp_path):
        file = tmp_path / "mine.py"
        file.write_text("import torch\n\ntorch.optim.Adamm\n")
        with pytest.raises(UsageError, match=r"Adamm'\) at mine\.py:3$"):
            parse_subject(f"adam={file}:f")

    def test_values(self):
        spec = (
            "spectral=torch.optim:Muon,lr=5e-2,ns_coefficients=(1,2,[3]),nesterov=false,"
            "adjust_lr_fn=match_rms_adamw,eps=inf,ns_steps='a,b'"
        )
        subject = parse_subject(spec)
        assert (subject.role, subject.target, subject.spec) == (
            "spectral",
            "torch.optim:Muon",
            spec,
        )
        assert subject.kwargs == {
            "lr": 0.05,
            "ns_coefficients": (1, 2, [3]),
            "nesterov": False,
            "adjust_lr_fn": "match_rms_adamw",
            "eps": float("inf"),
            "ns_steps": "a,b",
        }

    def test_dotted_attribute(self):
        subject = parse_subject("gd=torch:optim.SGD,lr=0.5")
        assert subject.constructor is torch.optim.SGD
        assert subject.rule(1.0).name == "torch:optim.SGD"

    def test_from_object_can_be_reproduced(self):
        subject = Subject.from_object("sam-l2", torch.optim.Adam, lr=0.5, betas=(0.9, 0.95))
        again = parse_subject(subject.spec)
        assert again.kwargs == subject.kwargs
        assert again.constructor is torch.optim.Adam
        assert hash(again)

    def test_not_callable(self):
        with pytest.raises(UsageError, match="cannot be called"):
            Subject.from_object("gd", 3)
