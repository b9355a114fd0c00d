"""From nothing to a running platform, and back: the steps of `make run` in their order."""

import asyncio
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from iotplatform.env import BASE_DIR, Config
from iotplatform.launcher import banner, checks, leftovers, processes, servers, static
from iotplatform.launcher.errors import LaunchError
from iotplatform.launcher.output import Output
from iotplatform.launcher.rundir import RunDir
from iotplatform.launcher.supervisor import Child, Supervisor

__all__ = ["Launch"]

_STOP_SECONDS = 8.5  # the promise is 10 s, the launcher's own end included
_LOOK_SECONDS = 0.1
_HOPELESS_DEATHS = 3
_SERVER_SECONDS = 600.0  # a database that recovers from a crash reads its log first
_WEB_SECONDS = 180.0  # a slow or busy machine; one that dies is noticed at once
_PATIENCE_SECONDS = 10.0
_SAME_REQUEST_SECONDS = 1.0  # make and a signal to the process group may both bring the same one


class Launch:
    """One run of the platform in RUN_DIR, which is locked while it lasts; or of its embedded servers alone."""

    def __init__(self, config: Config, run_dir: RunDir, output: Output, *, servers_alone: bool = False) -> None:
        self._config = config
        self._run_dir = run_dir
        self._output = output
        self._servers_alone = servers_alone
        self._stop_asked = asyncio.Event()
        self._stop_asked_at = 0.0
        self._supervisor = Supervisor(output, leftovers.ProcessRecord(run_dir), BASE_DIR)

    async def run(self) -> None:
        """Start everything and keep it running until a signal asks to stop. Raises LaunchError if it does not start."""
        self._listen_for_signals()
        start = asyncio.create_task(self._start())
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({start, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stop_asked
        finally:
            start.cancel()
            await asyncio.gather(start, return_exceptions=True)
            await self._stop()

    async def _start(self) -> None:
        began = time.monotonic()
        for name in await asyncio.to_thread(leftovers.clear, self._run_dir):
            self._output.say(f"{name} was left running by an earlier start: stopped")
        await self._start_servers()
        if self._servers_alone:
            self._output.show("The servers run, and nothing else does. Ctrl-C stops them.")
            return
        await self._prepare()
        web, *others = processes.platform(self._config)
        child = self._supervisor.start(web)
        await self._until(child, self._web_answers, _WEB_SECONDS)
        for command in others:
            self._supervisor.start(command)
        for line in banner.lines(self._config, time.monotonic() - began):
            self._output.show(line)

    async def _start_servers(self) -> None:
        config = self._config
        chosen = servers.choose(
            self._run_dir,
            postgres=config.database_url is None,
            log=config.redis_url is None,
            cache=config.cache_url is None,
            log_maxmemory=config.log_redis_maxmemory,
        )
        started = []
        for server in chosen.values():
            self._output.say(f"starting {server.name}")
            await asyncio.to_thread(server.prepare)
            started.append((self._supervisor.start(server.command()), server.answers))
        for child, answers in started:
            await self._until(child, answers, _SERVER_SECONDS)
        await asyncio.to_thread(self._check_own_servers)
        servers.record(self._run_dir, chosen)

    def _check_own_servers(self) -> None:
        if self._config.database_url:
            checks.check_database(self._config.database_url)
        for variable, url in (("REDIS_URL", self._config.redis_url), ("CACHE_URL", self._config.cache_url)):
            if url:
                checks.check_redis(variable, url)

    async def _prepare(self) -> None:
        """Bring database, first user and static files up to date."""
        metrics = processes.metrics_dir(self._config)
        shutil.rmtree(metrics, ignore_errors=True)  # of processes that are gone
        metrics.mkdir()
        await self._manage("migrate", "migrate", "--noinput")
        await self._manage("admin", "ensure_admin")
        if not static.is_current(BASE_DIR):
            await self._manage("static", "collectstatic", "--noinput", "--verbosity", "0")
            static.mark_current(BASE_DIR)

    async def _manage(self, name: str, *arguments: str) -> None:
        status = await self._supervisor.run_once(processes.manage(self._config, name, *arguments))
        if status != 0:
            raise LaunchError(f"`manage.py {' '.join(arguments)}` failed; its last words:\n{self._output.tail(name)}")

    async def _until(self, child: Child, answers: Callable[[], bool], seconds: float) -> None:
        """Wait until it answers, as long as it looks alive."""
        name = child.command.name
        began = told = time.monotonic()
        while not await asyncio.to_thread(answers):
            now = time.monotonic()
            if child.deaths >= _HOPELESS_DEATHS or now - began > seconds:
                how = f"ended {child.deaths} times" if child.deaths else f"does not answer after {seconds:.0f} s"
                raise LaunchError(f"{name} {how} while starting; its last words:\n{self._output.tail(name)}")
            if now - told > _PATIENCE_SECONDS:
                told = now
                self._output.say(f"{name} is still starting ({now - began:.0f} s)")
            await asyncio.sleep(_LOOK_SECONDS)

    def _web_answers(self) -> bool:
        try:
            url = f"{banner.local_url(self._config)}/healthz"
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address  # nosec B310
                return bool(answer.status == 200)
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    async def _stop(self) -> None:
        await self._supervisor.stop(_STOP_SECONDS)
        self._run_dir.remove_sockets()
        self._output.say("stopped")

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):  # SIGINT too where a script's "&" has made it ignored
            loop.add_signal_handler(signum, self._ask_to_stop, signum)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
            loop.add_signal_handler(signal.SIGHUP, self._ask_to_stop, signal.SIGHUP)

    def _ask_to_stop(self, signum: signal.Signals) -> None:
        now = time.monotonic()
        if not self._stop_asked.is_set():
            self._output.say(f"stopping ({signum.name})")
            self._stop_asked_at = now
            self._stop_asked.set()
        elif now - self._stop_asked_at > _SAME_REQUEST_SECONDS:
            self._supervisor.kill_all()  # asked twice: no more patience
