"""`python -m tests.compose`: the stack in containers under attack. Needs docker and minutes, so it is no part of `make test`."""
