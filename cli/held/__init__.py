"""What the platform keeps of events that are not stored: on `parked` and on `rejected`, read for people, and sent again."""
