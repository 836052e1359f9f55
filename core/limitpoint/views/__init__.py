"""What people look at: tables, figures, the report's page, the terminal's summary, GitHub's."""
