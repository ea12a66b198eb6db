"""The two ways in which a command ends badly, each with its exit code."""


class BadInput(Exception):
    """What the user gave is not allowed: the message names the field, the value and what is allowed. Exit code 2."""

    exit_code = 2


class Failure(Exception):
    """An operation failed: the message names the operation, the resource and the reason. Exit code 1."""

    exit_code = 1


class DigestMismatch(Failure):
    """An artefact does not have the SHA-256 under which it was registered."""


class NotApproved(Failure):
    """A model package is not Approved where it has to be."""


class NotVerified(Failure):
    """An endpoint does not do what it has to: the model is at fault, not the way to it."""


class NotFound(Failure):
    """SageMaker or S3 does not have what a command needs; the message says how it comes into being."""


class NoSuchVersion(NotFound):
    """A group has no version of the number that was given: input that is not allowed, so exit code 2."""

    exit_code = 2
