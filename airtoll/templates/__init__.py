"""What `airtoll new` writes, as modules that run here too: their names are replaced by the new package's."""
