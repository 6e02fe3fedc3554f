"""Writes docker/grafana/."""

from .grafana import FOLDER, files

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, text in files().items():
        file.write_text(text)
