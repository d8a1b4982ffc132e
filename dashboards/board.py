"""A dashboard: its variables, annotations, links and rows of panels, and the JSON that Grafana loads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panels import BLUE, DATASOURCE, PURPLE, Panel, scoped

TAG = "ringback"
FULL_WIDTH = 24
# A worker that was started within this time is marked as a deploy, a model that serves since then as a promotion.
MARKED_FOR = "1m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under a heading, from left to right; a line of the grid is 24 wide."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What makes one dashboard. ``uid``: its address and the name of its file. ``campaigns``: shows dialers only."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    since: str = "now-6h"
    campaigns: bool = False


def to_json(board: Board) -> str:
    """The text of the dashboard's file; equal boards give equal texts."""
    made = build.Dashboard(board.title).uid(board.uid).description(board.description).tags([TAG]).readonly()
    made.time(board.since, "now").refresh("30s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
    made.variables(_variables(dialers_only=board.campaigns)).annotations(_annotations()).links(_links())
    identity = 0
    top = 0
    panels: list[model.Panel | model.RowPanel] = []
    for row in board.rows:
        identity += 1
        panels.append(_heading(row.title, identity, top))
        top += 1
        left = tallest = 0
        for builder in row.panels:
            identity += 1
            panel = builder.build()
            size = panel.grid_pos or model.GridPos(w=FULL_WIDTH, h=8)
            if left + size.w > FULL_WIDTH:
                top, left, tallest = top + tallest, 0, 0
            panel.id_val = identity
            panel.grid_pos = model.GridPos(x=left, y=top, w=size.w, h=size.h)
            left, tallest = left + size.w, max(tallest, size.h)
            panels.append(panel)
        top += tallest
    dashboard = made.build()
    dashboard.panels = panels
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _heading(title: str, identity: int, top: int) -> model.RowPanel:
    return model.RowPanel(
        title=title, id_val=identity, grid_pos=model.GridPos(x=0, y=top, w=FULL_WIDTH, h=1), collapsed=False, panels=[]
    )


def _variables(*, dialers_only: bool) -> list[Builder[model.VariableModel]]:
    """Data source, processes, campaigns and instances.

    A dialer has one campaign, named by its ``ringback_dialer_info`` alone: on a dashboard of dialers, whoever chooses a
    campaign chooses its instances.
    """
    of_processes = 'ringback_build_info{job=~"$job"}'
    of_campaigns = 'ringback_dialer_info{job=~"$job", campaign=~"$campaign"}'
    return [
        build.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        _query_variable("job", "Process", "label_values(ringback_build_info, job)"),
        _query_variable("campaign", "Campaign", "label_values(ringback_dialer_info, campaign)"),
        _query_variable(
            "instance", "Instance", f"label_values({of_campaigns if dialers_only else of_processes}, instance)"
        ),
    ]


def _query_variable(name: str, label: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).label(label).datasource(DATASOURCE)
    variable.query({"query": query, "refId": name}).refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    variable.multi(True).include_all(True).current(everything)
    return variable.sort(model.VariableSort.ALPHABETICAL_ASC)


def _annotations() -> list[Builder[model.AnnotationQuery]]:
    started = f"changes(process_start_time_seconds{{@}}[{MARKED_FOR}]) > 0"
    promoted = (
        'count by (version) (ringback_stream_model_info{@, role="current"}) unless '
        f'count by (version) (ringback_stream_model_info{{@, role="current"}} offset {MARKED_FOR})'
    )
    return [_annotation("Deploys", started, BLUE), _annotation("Model promotions", promoted, PURPLE)]


def _annotation(name: str, expr: str, colour: str) -> build.AnnotationQuery:
    made = build.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(colour)
    return made.expr(scoped(expr))


def _links() -> list[Builder[model.DashboardLink]]:
    link = build.DashboardLink("Ringback").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return [link.include_vars(True).keep_time(True).as_dropdown(False).icon("external link")]
