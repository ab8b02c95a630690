"""The demand feature view: its one source is sql/features.sql; a later change is a revision running it again."""

from trendcast.store.engine import SQL_FOLDER
from trendcast.store.migrate import execute_file, op

revision = "0010"
down_revision = "0005"


def upgrade() -> None:
    execute_file(op.get_bind(), SQL_FOLDER / "features.sql")
