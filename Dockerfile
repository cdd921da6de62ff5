# The tests have no engine to build this with: they lint it, and carry out its steps one by one (tests/deploy/test_image.py).
FROM python:3.13-slim AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
# Numbers, so that a host can give them a folder.
RUN groupadd --gid 10001 notifhist \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin notifhist \
    && install -d -o 10001 -g 10001 -m 750 /data
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir "$(echo /wheels/*.whl)[grafana,postgres,redis]"
ENV NOTIFHIST_DATABASE_URL=sqlite:////data/notifhist.db
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
# What proxies the environment names does not matter for this address.
HEALTHCHECK --interval=30s --timeout=5s --start-period=1m CMD ["python", "-c", \
    "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["notifhist"]
CMD ["serve", "--bind", "0.0.0.0:8000"]
