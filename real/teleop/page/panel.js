// The main view as a panel in the room, for who wears a headset; poses flow without it, too.

const VERTEX = `attribute vec2 corner; uniform mat4 projection, view; uniform vec3 place;
varying vec2 at;
void main() {
  at = vec2(corner.x + 0.5, 0.5 - corner.y);
  gl_Position = projection * view * vec4(place + vec3(corner * vec2(1.2, 0.9), 0.0), 1.0);
}`;
const FRAGMENT = `precision mediump float; uniform sampler2D picture; varying vec2 at;
void main() { gl_FragColor = texture2D(picture, at); }`;
const PLACE = [0, -0.15, -1.3]; // of the panel's middle, from where the session began [m]

export class Panel {
  /** Return a panel that draws into the session, or null where WebGL does not work. */
  static async make(session) {
    try {
      const gl = document.createElement("canvas").getContext("webgl", { xrCompatible: true });
      if (!gl) return null;
      const layer = new XRWebGLLayer(session, gl);
      await session.updateRenderState({ baseLayer: layer });
      return new Panel(gl, layer);
    } catch (error) {
      console.info("no panel:", error.message);
      return null;
    }
  }

  constructor(gl, layer) {
    this.gl = gl;
    this.layer = layer;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    const corners = [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5];
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(corners), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.uniform3fv(gl.getUniformLocation(program, "place"), PLACE);
    this.projection = gl.getUniformLocation(program, "projection");
    this.view = gl.getUniformLocation(program, "view");
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T])
      gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  }

  /** Draw a canvas for both eyes. */
  draw(viewer, canvas) {
    const gl = this.gl;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.layer.framebuffer);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!viewer || !canvas) return;
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, canvas);
    for (const eye of viewer.views) {
      const area = this.layer.getViewport(eye);
      gl.viewport(area.x, area.y, area.width, area.height);
      gl.uniformMatrix4fv(this.projection, false, eye.projectionMatrix);
      gl.uniformMatrix4fv(this.view, false, eye.transform.inverse.matrix);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
  }
}
