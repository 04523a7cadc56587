"""The page at `/`: HTML, CSS and ES modules, served as they lie here."""
