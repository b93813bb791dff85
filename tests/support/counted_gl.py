"""A script for a page that counts its WebGL contexts and what is made in them, in ``window.made``."""

COUNT_GL = """() => {
  window.made = { contexts: 0, things: 0 };
  const known = new Set();
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    const context = getContext.call(this, kind, ...rest);
    if (kind === "webgl2" && !known.has(context)) {
      known.add(context);
      made.contexts += 1;
      window.gl = context;
    }
    return context;
  };
  const methods = WebGL2RenderingContext.prototype;
  for (const name of ["Texture", "Buffer", "Program", "VertexArray", "Framebuffer"]) {
    const [create, remove] = [methods[`create${name}`], methods[`delete${name}`]];
    methods[`create${name}`] = function () {
      made.things += 1;
      return create.call(this);
    };
    methods[`delete${name}`] = function (thing) {
      if (thing) made.things -= 1;
      remove.call(this, thing);
    };
  }
}"""
