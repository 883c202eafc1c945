"""How people and machines look at a daemon and command it; none of it trades."""
