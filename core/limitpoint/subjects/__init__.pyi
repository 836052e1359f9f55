from ._limits import UNLIMITED as UNLIMITED
from ._limits import USUAL as USUAL
from ._limits import Limits as Limits
from ._signature import Accepted as Accepted
from ._spec import FORM as FORM
from ._subject import Subject as Subject
from ._subject import parse_subject as parse_subject
from ._torch import TorchOptimizer as TorchOptimizer
