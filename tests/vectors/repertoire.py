"""Every scene, by the name of its vector."""

from tests.vectors.answers import ANSWERS
from tests.vectors.failures import FAILURES
from tests.vectors.scenes import SCENES

REPERTOIRE = SCENES | ANSWERS | FAILURES
