"""The user's mistakes, told in one line. The world's (damage, loss) are counted, ours asserted."""


class UserError(Exception):
    """Something the user gave is wrong: the text names it, says what is wrong and what to do."""


EXIT_OK, EXIT_NOTHING_READ, EXIT_USAGE, EXIT_INTERNAL = 0, 1, 2, 70
