"""The model: what it says, whether the world is still that of its training, and how good it turned out to be."""

from dashboards.board import Board, Row
from dashboards.objectives import DRIFT, WATCHED_DRIFT
from dashboards.panels import BLUE, GREEN, GREY, RED, YELLOW, About, Query, bars, chart, heat, number
from dashboards.series import quantiles

DRIFT_LIMITS = [(WATCHED_DRIFT, YELLOW), (DRIFT, RED)]
MODEL_COLOURS = {"deciding": GREEN, "shadow": GREY}

SERVING = Row(
    title="Which model serves?",
    panels=[
        bars(
            About(
                title="Workers by model",
                description="How many workers serve each model, by role. Two current ones for longer than a minute: "
                "the alert "
                "RingbackModelsDiffer.",
                unit="none",
                decimals=0,
                base=BLUE,
                width=12,
                height=5,
            ),
            Query(expr="count by (role, version) (ringback_stream_model_info{@} == 1)", legend="{{role}} {{version}}"),
        ),
        number(
            About(
                title="Models refused or failed",
                description="Models that were put in place and not taken, or that failed while they served, in the "
                "time shown.",
                unit="none",
                decimals=0,
                limits=[(0.5, RED)],
                width=6,
                height=5,
            ),
            Query(
                expr="sum(increase(ringback_stream_model_refused_total{@}[$__range])) "
                "+ sum(increase(ringback_stream_model_failures_total{@}[$__range]))"
            ),
            sparkline=False,
        ),
        number(
            About(
                title="How far are scores from training?",
                description="Population stability index of the champion's scores, of the worker where it is worst: "
                "from 0.1 on "
                "watch, over 0.25 the scores are others. Needs 1,000 decisions.",
                unit="none",
                decimals=2,
                limits=DRIFT_LIMITS,
                width=6,
                height=5,
            ),
            Query(expr="max(ringback_stream_score_stability_index{@})"),
        ),
    ],
)
SCORES = Row(
    title="What does it say?",
    panels=[
        heat(
            About(
                title="Scores of due carts",
                description="Distribution of the probabilities of a purchase that decisions were made on.",
                unit="percentunit",
                width=12,
            ),
            Query(
                expr='sum by (le) (increase(ringback_score_ratio_bucket{@, model="deciding"}[$__rate_interval]))',
                legend="{{le}}",
            ),
        ),
        chart(
            About(
                title="Mean score: champion and shadow",
                description="Mean probability of a purchase, of the model that decides and of the shadow beside it.",
                unit="percentunit",
                width=6,
            ),
            Query(
                expr="sum by (model) (rate(ringback_score_ratio_sum{@}[$__rate_interval])) "
                "/ (sum by (model) (rate(ringback_score_ratio_count{@}[$__rate_interval])) > 0)",
                legend="{{model}}",
            ),
            colours=MODEL_COLOURS,
        ),
        chart(
            About(
                title="How long does a score take?",
                description="Time to score one cart. Objective: 99.9 % within 25 ms.",
                unit="s",
                limits=[(0.025, RED)],
                width=6,
            ),
            *quantiles("ringback_scoring_duration_seconds", "p50", "p99", "p99.9"),
        ),
    ],
)
WORLD = Row(
    title="Is the world still that of the training?",
    panels=[
        bars(
            About(
                title="Which features have shifted most?",
                description="Population stability index of the ten worst features against training: from 0.1 on "
                "watch, over 0.25 "
                "it is another distribution.",
                unit="none",
                decimals=2,
                limits=DRIFT_LIMITS,
                maximum=2 * DRIFT,
            ),
            Query(
                expr="sort_desc(topk(10, max by (feature) (ringback_stream_feature_stability_index{@})))",
                legend="{{feature}}",
            ),
        ),
        chart(
            About(
                title="Drift of scores and features",
                description="Stability index of the scores and of the worst feature. The alert RingbackModelDrift "
                "comes over 0.25 "
                "for an hour.",
                unit="none",
                decimals=2,
                limits=DRIFT_LIMITS,
            ),
            Query(expr="max(ringback_stream_score_stability_index{@})", legend="scores"),
            Query(expr="max(ringback_stream_feature_stability_index{@})", legend="worst feature"),
        ),
        chart(
            About(
                title="Missing and unseen values",
                description="Share of decisions without a value of a feature, and with one that training never had, "
                "for the worst "
                "features.",
                unit="percentunit",
            ),
            Query(
                expr="topk(3, max by (feature) (ringback_stream_feature_missing_ratio{@}))",
                legend="missing {{feature}}",
            ),
            Query(
                expr="topk(3, max by (feature) (ringback_stream_feature_unseen_ratio{@}))", legend="unseen {{feature}}"
            ),
        ),
    ],
)
QUALITY = Row(
    title="How good did it turn out to be?",
    panels=[
        chart(
            About(
                title="Log-loss of matured decisions",
                description="Log-loss on the holdout's decisions whose outcome is known: lower is better, and the "
                "champion's is to "
                "be compared with that in its manifest. Needs 1,000 decisions.",
                unit="none",
                decimals=3,
                nothing="Under 1,000 matured decisions",
            ),
            Query(expr="max by (model) (ringback_stream_matured_log_loss_nats{@})", legend="{{model}}"),
            colours=MODEL_COLOURS,
        ),
        chart(
            About(
                title="Decisions that are measured",
                description="Decisions in the window of the drift, and matured ones of the holdout. Under 1,000 "
                "nothing is said.",
                unit="short",
                base=YELLOW,
                limits=[(1000, GREEN)],
            ),
            Query(expr="sum(ringback_stream_drift_rows{@})", legend="drift"),
            Query(expr="sum(ringback_stream_matured_rows{@})", legend="matured"),
        ),
        chart(
            About(
                title="What must an agent's time bring?",
                description="Price of a minute of an agent, in units of the common currency: who brings less is not "
                "called. Nothing "
                "while fixed thresholds hold.",
                unit="locale",
                decimals=2,
                nothing="Fixed thresholds hold",
            ),
            Query(expr="60 * max(ringback_agent_time_price{@})", legend="a minute"),
        ),
    ],
)
BOARD = Board(
    uid="ringback-model",
    title="Ringback / Model",
    description="What the model says, whether the world is still that of its training, and how good it turned out to "
    "be.",
    rows=[SERVING, SCORES, WORLD, QUALITY],
    since="now-24h",
)
