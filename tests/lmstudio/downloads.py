"""Downloads of ``/api/v1``: a job that one asks about until it is done.

The bytes arrive at a steady speed by the simulator's clock, so a test advances the clock to see
progress. When the last byte is there, the model is in the lists.
"""

from dataclasses import dataclass
from typing import Any, Literal

from tests.lmstudio import errors
from tests.lmstudio.clock import iso
from tests.lmstudio.models import Model
from tests.lmstudio.world import World

BYTES_PER_SECOND = 100_000_000


@dataclass(kw_only=True)
class Job:
    """One download."""

    id: str
    model: Model
    started_s: float
    status: Literal["downloading", "paused", "completed", "failed"] = "downloading"
    completed_s: float | None = None
    done_bytes: int = 0
    seen_s: float = 0.0  # until when the bytes were counted
    error: str | None = None


class Downloads:
    """The jobs, and the catalog that they come from."""

    def __init__(self, world: World) -> None:
        self.catalog: dict[str, Model] = {}
        self.jobs: list[Job] = []
        self._world = world

    def start(self, name: str) -> dict[str, Any]:
        """Answer a request to download *name*; a job that is under way is told of again.

        Raises:
            Refused: No such model is in the catalog.
        """
        self.go_on()
        model = self.catalog.get(name)
        if self._world.known(name) is not None or model in self._world.models:
            return {"status": "already_downloaded"}
        if model is None:
            raise errors.native("model_not_found", f"Model '{name}' not found", status=404)
        running = [job for job in self.jobs if job.model is model and job.status != "failed"]
        job = running[0] if running else self._begin(model)
        return {
            "job_id": job.id,
            "status": job.status,
            "total_size_bytes": model.size_bytes,
            "started_at": iso(job.started_s),
        }

    def status(self, job_id: str) -> dict[str, Any]:
        """Answer how far the job is.

        Raises:
            Refused: There is no such job.
        """
        job = next((each for each in self.jobs if each.id == job_id), None)
        if job is None:
            raise errors.native("job_not_found", f"Job '{job_id}' not found", status=404)
        self.go_on()
        answer = {
            "job_id": job.id,
            "status": job.status,
            "total_size_bytes": job.model.size_bytes,
            "downloaded_bytes": job.done_bytes,
            "started_at": iso(job.started_s),
        }
        if job.status == "downloading":
            left_s = (job.model.size_bytes - job.done_bytes) / BYTES_PER_SECOND
            answer["bytes_per_second"] = BYTES_PER_SECOND
            answer["estimated_completion"] = iso(job.seen_s + left_s)
        if job.completed_s is not None:
            answer["completed_at"] = iso(job.completed_s)
        if job.error is not None:
            answer["error_message"] = job.error
        return answer

    def go_on(self) -> None:
        """Count what has arrived until now."""
        now_s = self._world.clock.now_s()
        for job in self.jobs:
            if job.status == "downloading":
                arrived = job.done_bytes + round((now_s - job.seen_s) * BYTES_PER_SECOND)
                job.done_bytes = min(arrived, job.model.size_bytes)
                if job.done_bytes == job.model.size_bytes:
                    job.status, job.completed_s = "completed", now_s
                    self._world.models.append(job.model)
            job.seen_s = now_s

    def pause(self, job_id: str) -> None:
        """Hold a job, as its user can in the app."""
        self._job(job_id).status = "paused"

    def resume(self, job_id: str) -> None:
        """Let a job go on."""
        self._job(job_id).status = "downloading"

    def fail(self, job_id: str, error: str) -> None:
        """End a job with an *error*."""
        job = self._job(job_id)
        job.status, job.error = "failed", error

    def _job(self, job_id: str) -> Job:
        self.go_on()
        return next(job for job in self.jobs if job.id == job_id)

    def _begin(self, model: Model) -> Job:
        now_s = self._world.clock.now_s()
        number = len(self.jobs) + 1
        job = Job(id=f"job_{number:010x}", model=model, started_s=now_s, seen_s=now_s)
        self.jobs.append(job)
        return job
