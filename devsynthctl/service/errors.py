"""What may go wrong with a service manager."""

from devsynthctl.errors import ClientError


class ServiceError(ClientError):
    """The service manager, or a file that it reads, could not be dealt with."""

    code = "service_failed"


class NoManager(ServiceError):
    """There is no service manager for this user, or it cannot be reached from here."""

    code = "no_service_manager"


class NotInstalled(ServiceError):
    """The service manager does not know the daemon."""

    code = "service_not_installed"


class EditedFile(ServiceError):
    """A file that is to be written was changed by somebody else; ``details["diff"]`` says how."""

    code = "service_file_edited"
