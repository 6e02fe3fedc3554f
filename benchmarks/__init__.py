"""What the platform costs, stage by stage and as a whole, beside the bare client's loop in the same run; all of it by `hourmark bench`."""
