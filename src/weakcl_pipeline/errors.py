"""What goes wrong because of what a user gave, as opposed to a defect of this package."""


class InputError(ValueError):
    """Data, a parameter or a file of the user's that cannot be used.

    The message names the file, row, column or key, says what is wrong, and what to do about it.
    """
