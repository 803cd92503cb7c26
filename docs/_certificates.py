"""Write the table of methods into ``docs/certificates.md``, from the classes that certify."""

from pathlib import Path

from causalinv.invariance.certificates._registry import methods_page

START, END = "<!-- methods: written by docs/_certificates.py -->", "<!-- end of methods -->"


def main() -> None:
    page = Path(__file__).parent / "certificates.md"
    text = page.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    page.write_text(f"{before}{START}\n{methods_page()}\n{END}{after}")


if __name__ == "__main__":
    main()
