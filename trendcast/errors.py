"""Every error TrendCast raises on purpose: one sentence a user can act on, an HTTP status and an exit code.

TrendCastError                 500, exit 1
├── UsageError                 422, exit 2   a command or request whose words are off
├── InvalidInput               422           data or a value that cannot be used
├── NotFound                   404           carries the nearest names
├── NotAllowed                 403           the role does not allow it
│   └── NoRight                403           the role this process has in the database does not
├── Unauthenticated            401
├── Conflict                   409           what is asked does not fit the present state
│   ├── NoRun                  409           nothing has been published yet
│   ├── Stale                  412           somebody else changed it since it was read
│   └── BatchHeld              409, exit 3   a batch that looks wrong as a whole waits for someone to accept it
├── VersionNeeded              428           a change must name the version that was seen
├── LeaseLost                  409           another worker took over; nothing was published
├── NotConfigured              503           a setting is missing or unsafe
└── DatabaseAway               503
    └── SchemaBehind           503           the database must be upgraded first

Errors are raised where they are understood and rendered once, at the edge: the page shows the sentence, the API maps
the status, the command line prints the sentence on stderr and exits.
"""


class TrendCastError(Exception):
    """Base of all; ``str(error)`` is the sentence. ``nearest``: names that exist, for one that does not, best first."""

    status = 500
    exit_code = 1

    def __init__(self, sentence: str = "", nearest: tuple[str, ...] = ()) -> None:
        if nearest:
            sentence = f"{sentence} Did you mean {', '.join(nearest)}?"
        super().__init__(sentence)
        self.nearest = nearest


class UsageError(TrendCastError):
    status = 422
    exit_code = 2


class InvalidInput(TrendCastError):
    status = 422


class NotFound(TrendCastError):
    """Something named does not exist."""

    status = 404


class NotAllowed(TrendCastError):
    status = 403


class NoRight(NotAllowed):
    pass


class Unauthenticated(TrendCastError):
    status = 401


class Conflict(TrendCastError):
    status = 409


class NoRun(Conflict):
    def __init__(self, sentence: str = "No forecast has been published yet: load data, then run a refresh.") -> None:
        super().__init__(sentence)


class Stale(Conflict):
    status = 412


class BatchHeld(Conflict):
    exit_code = 3


class VersionNeeded(TrendCastError):
    status = 428


class LeaseLost(TrendCastError):
    status = 409


class NotConfigured(TrendCastError):
    status = 503


class DatabaseAway(TrendCastError):
    status = 503


class SchemaBehind(DatabaseAway):
    def __init__(
        self, sentence: str = "The database is not at this version's schema: run 'python -m trendcast db upgrade'."
    ) -> None:
        super().__init__(sentence)
