"""The carrier as a SIPp scenario: what it does with a call is in the number alone, by the rule of `shoppers`.

It logs a line for each INVITE, answer and hang-up: ``<what> <number> <call-id>``.
"""

from tests.servers.shoppers import (
    AT_ONCE_AREA,
    EARLY_HANGUP_MS,
    GREETING_BY_AREA,
    LATE_AREAS,
    LATE_RING_MS,
    PATIENT_AREAS,
    PATIENT_TALK_MS,
    PROGRESS_AREA,
)

# The scenario's labels are numbers.
BUSY, RINGS, CONGESTED, INVALID, DECLINES, RINGING, ANSWERS, LEAVES, END, PROGRESSES, AWAITS_CANCEL = range(1, 12)
SAYS = {greeting: 20 + n for n, greeting in enumerate(GREETING_BY_AREA.values())}

_HEADERS = "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n"
_CONTACT = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n"
_TAG = ";tag=far-[call_number]"
_SDP = """v=0
o=carrier 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20
"""
_BYE = """BYE [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: [$to];tag=far-[call_number]
To: [$from]
[last_Call-ID:]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0

"""


def scenario() -> str:
    """The XML of the scenario."""
    parts = [
        *_invite(),
        _answer("100 Trying", tag=""),
        *_choose("kind", {"4": BUSY, "5": RINGS, "6": CONGESTED, "7": INVALID}),
        *_ring(),
        *_choose("kind", {"8": DECLINES}),
        _label(ANSWERS),
        _answer("200 OK", body=_SDP, attributes='retrans="500"'),
        '<recv request="ACK"/>',
        _log("ANSWERED"),
        *_choose("kind", {"9": LEAVES}),
        *_choose("area", {area: SAYS[greeting] for area, greeting in GREETING_BY_AREA.items()}),
        *_jump(LEAVES),
        *(part for greeting in SAYS for part in _say(greeting)),
        _label(LEAVES),
        '<pause variable="talk"/>',
        _log("BYE"),
        _send(_BYE, attributes='retrans="500"'),
        '<recv response="200"/>',
        *_jump(END),
        *_refuse(BUSY, "486 Busy Here"),
        *_refuse(CONGESTED, "503 Service Unavailable"),
        *_refuse(INVALID, "404 Not Found"),
        *_refuse(DECLINES, "603 Decline"),
        *_ring_for_ever(),
        _label(END),
        '<timewait milliseconds="100"/>',
    ]
    body = "\n".join(parts)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="carrier">\n{body}\n</scenario>\n'


def _invite() -> list[str]:
    talk = [
        '<todouble assign_to="talk" variable="step"/>',
        '<multiply assign_to="talk" value="200"/>',
        '<add assign_to="talk" value="1000"/>',
    ]
    ring = [
        '<todouble assign_to="ring" variable="step"/>',
        '<multiply assign_to="ring" value="80"/>',
        '<add assign_to="ring" value="200"/>',
    ]
    actions = [
        '<ereg regexp="sip:([0-9]{4})([0-9]*)([0-9])([0-9])@" search_in="hdr" header="To:" check_it="true" '
        'assign_to="uri,area,middle,step,kind"/>',
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>',
        '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>',
        '<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="contact"/>',
        '<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/>',
        *ring,
        *talk,
        '<log message="INVITE [$area][$middle][$step][$kind] [call_id]"/>',
    ]
    return [f'<recv request="INVITE"><action>{"".join(actions)}</action></recv>', '<Reference variables="uri"/>']


def _choose(variable: str, labels: dict[str, int]) -> list[str]:
    """Jump to the label of a variable's value; go on where it has none."""
    parts = []
    for value, label in labels.items():
        name = f"{variable}_is_{value}"
        compare = (
            f'<strcmp assign_to="{name}_order" variable="{variable}" value="{value}"/>'
            f'<test assign_to="{name}" variable="{name}_order" compare="equal" value="0"/>'
        )
        parts += [f"<nop><action>{compare}</action></nop>", f'<nop next="{label}" test="{name}"/>']
    return parts


def _ring() -> list[str]:
    """Ring as long as the number says, and settle how long is talked."""
    patient = dict.fromkeys((*PATIENT_AREAS, *GREETING_BY_AREA), PATIENT_TALK_MS)
    exceptions = [
        *(("area", area, "ring", LATE_RING_MS) for area in LATE_AREAS),
        *(("area", area, "talk", ms) for area, ms in patient.items()),
        ("kind", "9", "talk", EARLY_HANGUP_MS),
    ]
    parts = []
    label = 40
    for variable, value, what, ms in exceptions:
        parts += _unless(variable, value, label)
        parts += [f'<nop><action><assign assign_to="{what}" value="{ms}"/></action></nop>', _label(label)]
        label += 1
    parts += [_answer("180 Ringing"), '<pause variable="ring"/>']
    parts += _unless("kind", "9", label)
    parts += _unless("area", AT_ONCE_AREA, label)
    parts += ['<nop><action><assign assign_to="talk" value="1"/></action></nop>', _label(label)]
    return parts


def _unless(variable: str, value: str, label: int) -> list[str]:
    """Jump where a variable has not this value."""
    name = f"{variable}_is_not_{value}_{label}"
    compare = (
        f'<strcmp assign_to="{name}_order" variable="{variable}" value="{value}"/>'
        f'<test assign_to="{name}" variable="{name}_order" compare="not_equal" value="0"/>'
    )
    return [f"<nop><action>{compare}</action></nop>", f'<nop next="{label}" test="{name}"/>']


def _say(greeting: str) -> list[str]:
    play = f'<nop><action><exec rtp_stream="{greeting}.ulaw,1,0"/></action></nop>'
    return [_label(SAYS[greeting]), play, *_jump(LEAVES)]


def _refuse(label: int, answer: str) -> list[str]:
    return [_label(label), _answer(answer), '<recv request="ACK"/>', *_jump(END)]


def _ring_for_ever() -> list[str]:
    ended = f"SIP/2.0 487 Request Terminated\n{_HEADERS.format(tag='')}".replace("[last_CSeq:]", "CSeq: [$cseq] INVITE")
    return [
        _label(RINGS),
        *_choose("area", {PROGRESS_AREA: PROGRESSES}),
        _answer("180 Ringing"),
        *_jump(AWAITS_CANCEL),
        _label(PROGRESSES),
        _answer("183 Session Progress", body=_SDP),
        _label(AWAITS_CANCEL),
        '<recv request="CANCEL"/>',
        _log("CANCEL"),
        _answer("200 OK"),
        _send(f"{ended}Content-Length: 0\n\n"),
        '<recv request="ACK"/>',
    ]


def _answer(status: str, *, tag: str = _TAG, body: str = "", attributes: str = "") -> str:
    kind = "Content-Type: application/sdp\nContent-Length: [len]\n\n" if body else "Content-Length: 0\n\n"
    return _send(f"SIP/2.0 {status}\n{_HEADERS.format(tag=tag)}{_CONTACT}{kind}{body}", attributes=attributes)


def _send(text: str, *, attributes: str = "") -> str:
    return f"<send {attributes}><![CDATA[\n{text}]]></send>"


def _label(label: int) -> str:
    return f'<label id="{label}"/>'


def _jump(label: int) -> list[str]:
    return [f'<nop next="{label}"/>']


def _log(what: str) -> str:
    return f'<nop><action><log message="{what} [$area][$middle][$step][$kind] [call_id]"/></action></nop>'
