"""Formulas as MathML, written at build by docutils: pages need no script and no network to show them."""

from docutils.utils.math.latex2mathml import tex2mathml

_SPELLED = {r"\dots": r"\ldots", r"\Big": ""}  # what docutils' converter calls by another name


def mathml(tex: str, *, block: bool = False) -> str:
    """One formula as MathML."""
    for spelled, known in _SPELLED.items():
        tex = tex.replace(spelled, known)
    return str(tex2mathml(tex.strip(), as_block=block))


def setup(app):
    """Register the renderer under the name mathml."""
    import docutils.nodes

    def inline(self, node):
        self.body.append(f'<span class="math">{mathml(node.astext())}</span>')
        raise docutils.nodes.SkipNode

    def block(self, node):
        self.body.append(self.starttag(node, "div", CLASS="math") + mathml(node.astext(), block=True) + "</div>")
        raise docutils.nodes.SkipNode

    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
