# Ringback's processes: `docker compose` gives each its command (ingest, stream, dialer, demo).
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
WORKDIR /src
ENV PATH=/opt/ringback/bin:$PATH
RUN python -m venv /opt/ringback
# Dependencies first: they change less often than the code.
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY ringback ringback
COPY ingest ingest
COPY stream stream
COPY scoring scoring
COPY dialer dialer
COPY outreach outreach
COPY simulation simulation
RUN pip install --no-cache-dir --no-deps .

FROM python:${PYTHON}-slim
# LightGBM needs OpenMP.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/ringback ringback
COPY --from=build /opt/ringback /opt/ringback
ENV PATH=/opt/ringback/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/ringback
ENTRYPOINT ["ringback"]
