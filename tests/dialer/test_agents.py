from hypothesis import given
from hypothesis import strategies as st

from dialer.agents import Agents
from dialer.pacing import Busy, BusyAgent
from ringback.metrics import AgentState


def state(agents: Agents, agent_id: str) -> AgentState | None:
    return next((agent.state for agent in agents if agent.agent_id == agent_id), None)


def test_the_agent_who_is_idle_longest_is_first() -> None:
    agents = Agents(15.0)
    agents.ready("b", "s", 1.0)
    agents.ready("a", "s", 2.0)
    assert [agents.assign("1", "s", 3.0), agents.assign("2", "s", 3.0), agents.assign("3", "s", 3.0)] == [
        "b",
        "a",
        None,
    ]


def test_who_is_wanted_is_first_and_who_is_spared_for_another_call_last() -> None:
    agents = Agents(15.0)
    for since, agent in enumerate("abc"):
        agents.ready(agent, "s", float(since))
    agents.ready("elsewhere", "t", 0.0)
    assert agents.assign("1", "s", 5.0, wanted="c", spared={"c"}) == "c"
    assert agents.assign("2", "s", 5.0, wanted="elsewhere", spared={"a"}) == "b"
    assert agents.assign("3", "s", 5.0, wanted=None, spared={"a"}) == "a"
    assert agents.assign("4", "s", 5.0) is None


def test_a_call_that_another_agent_got_leaves_the_first_one_idle() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.ready("b", "s", 1.0)
    assert agents.assign("1", "s", 2.0) == "a"
    agents.connected("b", "s", "1", 3.0)
    assert (state(agents, "a"), state(agents, "b")) == (AgentState.IDLE, AgentState.TALKING)


def test_each_server_has_its_own_floor() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.ready("b", "t", 0.0)
    assert (agents.count(AgentState.IDLE), agents.count(AgentState.IDLE, "s")) == (2, 1)
    agents.gone("a", "t", 1.0)
    assert state(agents, "a") is AgentState.IDLE
    agents.rebuild("t", [], {}, 2.0, 2.0)
    assert [agent.agent_id for agent in agents] == ["a"]
    assert agents.staffed("s")
    assert not agents.staffed("t")


def test_who_goes_on_a_break_after_the_call_gets_free_for_nobody() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.connected("a", "s", "1", 1.0)
    agents.paused("a", "s", 2.0)
    assert agents.busy(3.0, "s") == []
    assert not agents.staffed("s")


def test_a_call_and_its_wrap_up() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.assign("1", "s", 10.0)
    assert state(agents, "a") is AgentState.CONNECTING
    agents.connected("a", "s", "1", 11.0)
    assert agents.busy(21.0, "s") == [BusyAgent(Busy.TALKING, 10.0)]
    assert agents.release("1", 31.0) == 20.0
    assert agents.busy(32.0, "s") == [BusyAgent(Busy.WRAP_UP, 1.0)]
    assert agents.tick(45.9) == []
    assert agents.tick(46.0) == [15.0]
    assert state(agents, "a") is AgentState.IDLE


def test_who_was_not_connected_is_idle_again() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.assign("1", "s", 10.0)
    assert [agent.agent_id for agent in agents.waiting_longer(3.0, 13.5)] == ["a"]
    assert agents.release("1", 14.0) is None
    assert state(agents, "a") is AgentState.IDLE
    assert agents.release("1", 14.0) is None


def test_a_pause_waits_for_the_end_of_the_call() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.assign("1", "s", 1.0)
    agents.paused("a", "s", 2.0)
    agents.connected("a", "s", "1", 2.0)
    assert state(agents, "a") is AgentState.TALKING
    agents.release("1", 3.0)
    assert state(agents, "a") is AgentState.PAUSED
    assert agents.assign("2", "s", 4.0) is None
    agents.ready("a", "s", 5.0)
    assert agents.assign("2", "s", 6.0) == "a"


def test_wrap_up_can_be_ended_early_and_idle_time_is_kept() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.ready("a", "s", 9.0)
    agents.ready("b", "s", 5.0)
    assert agents.assign("1", "s", 10.0) == "a"
    agents.connected("a", "s", "1", 10.0)
    agents.release("1", 20.0)
    agents.ready("a", "s", 21.0)
    assert state(agents, "a") is AgentState.IDLE


def test_gone_is_gone() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    agents.gone("a", "s", 0.5)
    agents.gone("a", "s", 0.5)
    assert agents.assign("1", "s", 1.0) is None


def test_who_left_in_the_moment_in_which_a_shopper_was_sent_there_stays_gone() -> None:
    agents = Agents(15.0)
    agents.ready("a", "s", 0.0)
    assert agents.assign("1", "s", 1.0) == "a"
    agents.gone("a", "s", 1.1)
    agents.connected("a", "s", "1", 1.2)
    assert agents.release("1", 1.3) is None
    assert not list(agents)
    agents.ready("a", "s", 2.0)
    agents.connected("a", "s", "2", 3.0)
    assert state(agents, "a") is AgentState.TALKING


def test_what_asterisk_has_is_taken_over() -> None:
    agents = Agents(15.0)
    for agent in ("kept", "gone", "was talking"):
        agents.ready(agent, "s", 0.0)
    agents.connected("was talking", "s", "missed its end", 1.0)
    agents.rebuild("s", ["kept", "new", "was talking", "talks"], {"talks": "call-1"}, 49.0, 50.0)
    assert state(agents, "gone") is None
    assert state(agents, "talks") is AgentState.TALKING
    assert state(agents, "new") is AgentState.IDLE
    assert state(agents, "was talking") is AgentState.IDLE
    assert agents.assign("2", "s", 51.0) == "kept"


def test_who_comes_or_goes_while_asterisk_is_asked() -> None:
    agents = Agents(15.0)
    agents.ready("left", "s", 0.0)
    agents.ready("came", "s", 10.5)
    agents.gone("left", "s", 10.5)
    agents.rebuild("s", ["left"], {}, 10.0, 11.0)
    assert state(agents, "left") is None
    assert state(agents, "came") is AgentState.IDLE


STEPS = st.tuples(
    st.sampled_from(["ready", "paused", "gone", "assign", "connected", "release", "tick"]),
    st.sampled_from("ab"),
    st.sampled_from(["1", "2"]),
)


@given(st.lists(STEPS, max_size=30))
def test_one_call_at_a_time_for_each_agent(steps: list[tuple[str, str, str]]) -> None:
    agents = Agents(2.0)
    given_to: dict[str, str] = {}
    for now, (what, agent_id, call_id) in enumerate(steps):
        match what:
            case "ready" | "paused":
                getattr(agents, what)(agent_id, "s", float(now))
            case "gone":
                agents.gone(agent_id, "s", float(now))
            case "assign":
                idle = agents.count(AgentState.IDLE)
                chosen = agents.assign(f"{call_id}-{now}", "s", float(now))
                assert (chosen is not None) == (idle > 0)
                if chosen:
                    given_to[chosen] = f"{call_id}-{now}"
            case "connected" if agent_id in given_to:
                agents.connected(agent_id, "s", given_to[agent_id], float(now))
            case "release" if agent_id in given_to:
                agents.release(given_to.pop(agent_id), float(now))
            case _:
                agents.tick(float(now))
        calls = [agent.call_id for agent in agents if agent.call_id]
        assert len(calls) == len(set(calls))
        busy = (AgentState.CONNECTING, AgentState.TALKING)
        assert all((agent.call_id is not None) == (agent.state in busy) for agent in agents)
