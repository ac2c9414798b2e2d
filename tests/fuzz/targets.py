"""All that is fuzzed."""

from tests.fuzz.answers import ANSWERS, LISTINGS
from tests.fuzz.cache import CACHES, STARTS
from tests.fuzz.codec import CODEC
from tests.fuzz.decoders import DECODERS
from tests.fuzz.messages import MESSAGES
from tests.fuzz.pipe import PIPE
from tests.fuzz.replies import COMMANDS_TARGET, REPLIES
from tests.fuzz.settings import CHECKS, RELOADS, SETTINGS
from tests.fuzz.strangers import STRANGERS
from tests.fuzz.target import Target
from tests.fuzz.upstream import UPSTREAM

TARGETS: tuple[Target, ...] = (
    CODEC,
    MESSAGES,
    STRANGERS,
    ANSWERS,
    LISTINGS,
    UPSTREAM,
    SETTINGS,
    RELOADS,
    CHECKS,
    CACHES,
    STARTS,
    DECODERS,
    REPLIES,
    COMMANDS_TARGET,
    PIPE,
)
