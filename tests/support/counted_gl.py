"""A page script that counts WebGL2 contexts and the live GL objects in them, in ``window.glCounts``."""

COUNT_GL = """() => {
  window.glCounts = { contexts: 0, objects: 0 };
  const known = new Set();
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    const context = getContext.call(this, kind, ...rest);
    if (kind === "webgl2" && !known.has(context)) {
      known.add(context);
      glCounts.contexts += 1;
      window.gl = context;
    }
    return context;
  };
  const methods = WebGL2RenderingContext.prototype;
  for (const name of ["Texture", "Buffer", "Program", "VertexArray", "Framebuffer"]) {
    const [create, remove] = [methods[`create${name}`], methods[`delete${name}`]];
    methods[`create${name}`] = function () {
      glCounts.objects += 1;
      return create.call(this);
    };
    methods[`delete${name}`] = function (object) {
      if (object) glCounts.objects -= 1;
      remove.call(this, object);
    };
  }
}"""
LOSE_CONTEXT = "() => { window.loss = gl.getExtension('WEBGL_lose_context'); loss.loseContext(); }"
RESTORE_CONTEXT = "loss.restoreContext()"
