"""How the face says no: HTTP status, Confluent's number, and a message. Numbers are those of Confluent's REST interface."""

from __future__ import annotations

from hourmark.errors import Rejected


class FaceError(Rejected):
    """A request that is not granted. `number`: what clients call `error_code`."""

    code = "face_refused"

    def __init__(self, status: int, number: int, message: str) -> None:
        super().__init__(message)
        self.status, self.number = status, number


def no_subject(subject: str) -> FaceError:
    return FaceError(404, 40401, f"Subject '{subject}' not found.")


def no_version(version: object) -> FaceError:
    return FaceError(404, 40402, f"Version {version} not found.")


def no_schema(schema_id: object = None) -> FaceError:
    return FaceError(404, 40403, "Schema not found" if schema_id is None else f"Schema {schema_id} not found")


def subject_deleted(subject: str) -> FaceError:
    return FaceError(404, 40404, f"Subject '{subject}' was soft deleted.Set permanent=true to delete permanently")


def subject_not_deleted(subject: str) -> FaceError:
    return FaceError(404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_deleted(subject: str, version: int) -> FaceError:
    return FaceError(404, 40406, f"Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently")


def version_not_deleted(subject: str, version: int) -> FaceError:
    return FaceError(404, 40407, f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted")


def no_config(subject: str) -> FaceError:
    return FaceError(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_mode(subject: str) -> FaceError:
    return FaceError(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(problems: list[str]) -> FaceError:
    told = "; ".join(problems)
    return FaceError(409, 409, f"Schema being registered is incompatible with an earlier schema; details: [{told:.4000}]")


def invalid_schema(message: str) -> FaceError:
    return FaceError(422, 42201, message)


def invalid_version(version: str) -> FaceError:
    told = f"The specified version '{version:.80}' is not a valid version id. "
    return FaceError(422, 42202, told + 'Allowed values are between [1, 2^31-1] and the string "latest"')


def invalid_level() -> FaceError:
    levels = "NONE, BACKWARD, FORWARD, FULL, BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, and FULL_TRANSITIVE"
    return FaceError(422, 42203, f"Invalid compatibility level. Valid values are {levels}")


def invalid_mode() -> FaceError:
    return FaceError(422, 42204, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT, and FORWARD")


def not_permitted(message: str) -> FaceError:
    return FaceError(422, 42205, message)


def referenced(subject: str, version: int) -> FaceError:
    told = f"One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}"
    return FaceError(422, 42206, f"{told}: it is referenced by other schemas")


def invalid_subject(subject: str, why: str) -> FaceError:
    return FaceError(422, 42208, f"The specified subject '{subject:.100}' is not a valid subject: {why}")


def malformed(message: str) -> FaceError:
    return FaceError(400, 400, message)
