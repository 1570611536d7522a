# Everything that trains, audits and runs chapters, in the versions of the book, without a GPU.
#
#   docker build -t fairthesis .
#   docker run --rm -v "$PWD:/work" fairthesis audit predictions.csv --group sex --out audit
#   docker run --rm -p 8888:8888 --entrypoint jupyter fairthesis lab --ip 0.0.0.0 --notebook-dir /opt/fairthesis
FROM python:3.11-slim

COPY . /opt/fairthesis
WORKDIR /opt/fairthesis
RUN pip install --no-cache-dir -r .binder/requirements.txt jupyterlab \
    && pip install --no-cache-dir --no-deps --no-build-isolation -e . \
    && useradd --create-home --uid 1000 reader \
    && mkdir /work && chown reader /work && chown -R reader /opt/fairthesis

USER reader
WORKDIR /work
ENTRYPOINT ["fairthesis"]
CMD ["--help"]
