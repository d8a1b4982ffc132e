"""The floor, the lines, the hopper and the do-not-call lists at this moment, as metrics."""

from collections.abc import Mapping
from math import nan

from dialer.bands import BANDS, edges
from dialer.compliance.book import book
from dialer.compliance.lists import greatest_ages, remaining
from dialer.hopper import Hopper
from dialer.servers import Server
from dialer.switchboard import Switchboard
from ringback.metric_labels import AgentState, CallState, HopperBand
from ringback.metrics import DialerMetrics
from ringback.settings import Settings


class Gauges:
    """Shows what one dialer sees."""

    def __init__(self, settings: Settings, metrics: DialerMetrics, servers: Mapping[str, Server]) -> None:
        self._metrics = metrics
        self._edges = edges(settings.decide)
        self._clock = settings.simulation.clock()
        trunks = [trunk for server in servers.values() for trunk in server.trunks.values()]
        metrics.lines_limit.set(sum(trunk.settings.lines for trunk in trunks))
        metrics.info.labels(settings.dialer.campaign, settings.dialer.mode.value).set(1)
        self._list_ages = greatest_ages(settings.compliance, book())
        for country in self._list_ages:
            metrics.list_remaining.labels(country).set(nan)

    def show_floor(self, board: Switchboard, seconds: float, *, leading: bool) -> None:
        """The calls and the agents now; ``seconds`` since the last time are counted for each agent's state.

        Whoever is not ``leading`` shows nobody: sums over all dialers must count each agent once.
        """
        count = {state: board.agents.count(state) if leading else 0 for state in AgentState}
        for state in AgentState:
            self._metrics.agents.labels(state.value).set(count[state])
            self._metrics.agent_seconds.labels(state.value).inc(seconds * count[state])
        states = [live.call.state.value for live in board.calls.values()]
        for call_state in CallState:
            self._metrics.calls_now.labels(call_state.value).set(states.count(call_state.value))
        self._metrics.lines.set(len(states))
        working = sum(count.values()) - count[AgentState.PAUSED]
        self._metrics.pacing.set(len(states) / working if working else 0.0)

    async def show_hopper(self, hopper: Hopper) -> None:
        """What waits, by its worth, and how far the day's budget is used. Raises `ringback.errors.Unavailable`."""
        look = await hopper.look(self._clock.now(), self._edges)
        for band, count in zip(BANDS, look.ready, strict=True):
            self._metrics.hopper.labels(band.value).set(count)
        self._metrics.hopper.labels(HopperBand.LATER.value).set(look.later)
        self._metrics.spend_of_cap.set(look.spent)

    async def show_lists(self, hopper: Hopper) -> None:
        """How long national do-not-call lists may still be called by. Raises `ringback.errors.Unavailable`."""
        obtained = await hopper.national_lists()
        for country, seconds in remaining(self._list_ages, obtained, self._clock.now()).items():
            self._metrics.list_remaining.labels(country).set(seconds)
