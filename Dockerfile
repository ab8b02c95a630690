# syntax=docker/dockerfile:1
# TrendCast in one image: dashboard and REST by default, the worker with another command (compose.yaml).
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock

FROM python:3.12-slim-bookworm
# No shell and no home to write to: data goes to /data only.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin trendcast \
    && install -d -o trendcast -g trendcast -m 0700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY streamlit_app.py LICENSE ./
COPY .streamlit .streamlit
COPY pages pages
COPY sql sql
COPY trendcast trendcast
COPY tools/healthcheck.py tools/healthcheck.py
# Whoever runs it may not write here: without this, every process and every job would compile all files anew, which takes
# twice as long as all the rest of a start.
RUN python -m compileall -q streamlit_app.py pages trendcast
ENV TZ=UTC \
    PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8080 \
    STREAMLIT_SERVER_HEADLESS=true \
    TRENDCAST_HOME=/data \
    TRENDCAST_AUTH=proxy
USER trendcast
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "tools/healthcheck.py"]
# Not `streamlit run`: it opens the port seconds before the app answers, and a proxy would wait instead of turning away.
CMD ["python", "-m", "trendcast", "serve"]
