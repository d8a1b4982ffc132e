"""The kinds of panels of the dashboards, each with what a reader needs: title, description, unit, limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

GREEN, YELLOW, RED, BLUE, GREY, PURPLE = "#56a64b", "#f2b01e", "#e02f44", "#3274d9", "#8e8e8e", "#a352cc"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
# What `{@` at the beginning of a selector stands for: every query obeys the dashboard's choice of processes.
SCOPE = 'job=~"$job", instance=~"$instance"'

Panel = Builder[model.Panel]
Limit = tuple[float, str]
AnyPanel = TypeVar("AnyPanel", timeseries.Panel, stat.Panel, bargauge.Panel, heatmap.Panel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of a panel and what its series are called; ``legend`` may name labels as ``{{outcome}}``."""

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What every panel says of itself. ``limits``: from each value on, a colour; they come from an objective.

    ``nothing``: what is written where there is no value.
    """

    title: str
    description: str
    unit: str
    limits: Sequence[Limit] = ()
    base: str = GREEN
    width: int = 8
    height: int = 8
    decimals: int | None = None
    minimum: float | None = 0
    maximum: float | None = None
    nothing: str = "No data yet"


def scoped(expr: str) -> str:
    """A query with ``{@`` written out as the matchers of the template variables."""
    return expr.replace("{@", "{" + SCOPE)


def chart(
    about: About, *queries: Query, stacked: bool = False, step: bool = False, colours: Mapping[str, str] | None = None
) -> Panel:
    """Lines over time, with a dashed line at each limit. ``colours``: of series, by their legend."""
    panel = _described(timeseries.Panel(), about).targets([_target(*each) for each in enumerate(queries)])
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC))
    panel.line_width(1.5).fill_opacity(60 if stacked else 8).show_points(kinds.VisibilityMode.NEVER)
    panel.line_interpolation(kinds.LineInterpolation.STEP_AFTER if step else kinds.LineInterpolation.LINEAR)
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(True)
    panel.legend(legend.placement(kinds.LegendPlacement.BOTTOM).calcs([]))
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if about.limits:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    for name, colour in (colours or {}).items():
        panel.override_by_name(
            name, [model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})]
        )
    return panel


def number(
    about: About, query: Query, *, sparkline: bool = True, words: Mapping[str, tuple[str, str]] | None = None
) -> Panel:
    """One large number in the colour of its limit. ``words``: what to write, in which colour, instead of a value."""
    panel = _described(stat.Panel(), about).targets([_target(0, query)])
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    panel.graph_mode(kinds.BigValueGraphMode.AREA if sparkline else kinds.BigValueGraphMode.NONE)
    panel.color_mode(kinds.BigValueColorMode.BACKGROUND if words else kinds.BigValueColorMode.VALUE)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if words:
        results = {value: model.ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()}
        panel.mappings([model.ValueMap(options=results)])
    return panel


def bars(about: About, *queries: Query) -> Panel:
    """A bar for each series, at its last value."""
    panel = _described(bargauge.Panel(), about).targets([_target(*each, instant=True) for each in enumerate(queries)])
    panel.color_scheme(build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    panel.display_mode(kinds.BarGaugeDisplayMode.GRADIENT).orientation(kinds.VizOrientation.HORIZONTAL)
    panel.name_placement(kinds.BarGaugeNamePlacement.LEFT).value_mode(kinds.BarGaugeValueMode.COLOR)
    return panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))


def heat(about: About, query: Query) -> Panel:
    """A histogram over time: the darker, the more. The query's series are buckets by ``le``."""
    panel = _described(heatmap.Panel(), about).targets([_target(0, query, PromQueryFormat.HEATMAP)])
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues")
    panel.color(colour.scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).steps(64))
    return panel.y_axis(heatmap.YAxisConfig().unit(about.unit)).calculate(False)


def _described(panel: AnyPanel, about: About) -> AnyPanel:
    panel.title(about.title).description(about.description).unit(about.unit).datasource(DATASOURCE)
    panel.span(about.width).height(about.height).no_value(about.nothing)
    steps = [model.Threshold(value=None, color=about.base)]
    steps += [model.Threshold(value=value, color=colour) for value, colour in about.limits]
    panel.thresholds(build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps))
    if about.decimals is not None:
        panel.decimals(about.decimals)
    if about.minimum is not None:
        panel.min(about.minimum)
    if about.maximum is not None:
        panel.max(about.maximum)
    return panel


def _target(
    index: int, query: Query, form: PromQueryFormat = PromQueryFormat.TIME_SERIES, *, instant: bool = False
) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(scoped(query.expr)).legend_format(query.legend).ref_id(chr(ord("A") + index))
    target.datasource(DATASOURCE).format(form).exemplar(query.exemplars)
    return target.instant() if instant else target.range()
