"""Run by alembic; the store hands over its connection."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)  # all or nothing, in SQLite too
with context.begin_transaction():
    context.run_migrations()
