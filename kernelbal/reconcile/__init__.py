"""One round: observe, diff, plan, perform, observe again."""
