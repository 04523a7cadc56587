"""The data folder whose runs the index has."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, which has one row at most: `number` is 1."""
    op.create_table(
        "data_folder",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("data_folder")
