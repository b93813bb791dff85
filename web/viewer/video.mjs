// Encodes images as a video: MP4 by WebCodecs, with exact times and texts; where the browser cannot, a
// recording of the canvas without texts.

import { ViewerError } from "./errors.mjs";
import { encodeMp4 } from "./mp4.mjs";

/**
 * The images of a video.
 * @typedef {object} Frames
 * @property {HTMLCanvasElement} canvas
 * @property {number} count
 * @property {number} fps frames per second
 * @property {(index: number) => void} draw draws one on the canvas
 */

const CODEC = "avc1.640033"; // H.264, profile High, level 5.1
const KEY_INTERVAL = 30; // frames
const BITS_PER_PIXEL = 0.2;
const MIN_BITRATE = 2e6; // bits per second
const MAX_QUEUE = 4; // frames
const DATA_INTERVAL = 100; // milliseconds, of a recorder
const MAX_WAITS = 100; // for the first data
const RECORDED_TYPE = "video/webm"; // an MP4 without texts would look like one with them

/**
 * Encode a video.
 * @param {Frames} frames
 * @param {Record<string, string>} texts JSON by keyword
 * @param {(done: number) => void} onFrame receives the number of frames that are rendered
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>} of type video/mp4 or video/webm
 * @throws {ViewerError} if the browser cannot encode video
 */
export async function encodeVideo(frames, texts, onFrame, signal) {
  const { fps } = frames;
  const { width, height } = frames.canvas;
  const bitrate = Math.round(Math.max(width * height * fps * BITS_PER_PIXEL, MIN_BITRATE));
  /** @type {VideoEncoderConfig} */
  const config = { codec: CODEC, width, height, bitrate, framerate: fps, avc: { format: "avc" } };
  const support = await globalThis.VideoEncoder?.isConfigSupported(config); // undefined without HTTPS
  signal.throwIfAborted();
  if (!support?.supported) return recordCanvas(frames, bitrate, onFrame, signal);
  const { samples, avcC } = await encodeSamples(frames, config, onFrame, signal);
  return encodeMp4({ width, height, fps, avcC, samples }, texts);
}

/**
 * @param {Frames} frames
 * @param {VideoEncoderConfig} config
 * @param {(done: number) => void} onFrame
 * @param {AbortSignal} signal
 */
async function encodeSamples({ canvas, count, fps, draw }, config, onFrame, signal) {
  /** @type {import("./mp4.mjs").Sample[]} */
  const samples = [];
  let avcC = new Uint8Array(0);
  /** @type {DOMException | null} */
  let failure = null;
  const encoder = new VideoEncoder({
    output: (chunk, metadata) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      const index = Math.round((chunk.timestamp * fps) / 1e6);
      samples.push({ bytes, index, isKey: chunk.type === "key" });
      const description = metadata?.decoderConfig?.description;
      if (description) avcC = new Uint8Array(/** @type {ArrayBuffer} */ (description)).slice();
    },
    error: (error) => (failure = error),
  });
  try {
    encoder.configure(config);
    for (let index = 0; index < count; index++) {
      draw(index);
      const frame = new VideoFrame(canvas, { timestamp: Math.round((index * 1e6) / fps) });
      try {
        encoder.encode(frame, { keyFrame: index % KEY_INTERVAL === 0 });
      } finally {
        frame.close();
      }
      onFrame(index + 1);
      do await pause(0, signal);
      while (encoder.encodeQueueSize > MAX_QUEUE);
    }
    await encoder.flush();
    signal.throwIfAborted();
  } catch (error) {
    throw failure ?? error;
  } finally {
    if (encoder.state !== "closed") encoder.close();
  }
  return { samples, avcC };
}

/**
 * Record the canvas in real time: where images are rendered more slowly, the video is slower, too.
 * @param {Frames} frames
 * @param {number} bitrate bits per second
 * @param {(done: number) => void} onFrame
 * @param {AbortSignal} signal
 */
async function recordCanvas({ canvas, count, fps, draw }, bitrate, onFrame, signal) {
  if (!globalThis.MediaRecorder?.isTypeSupported(RECORDED_TYPE))
    throw new ViewerError("This browser cannot encode video.");
  const stream = canvas.captureStream(0); // 0: frames are requested, of the track or, in Firefox, the stream
  const track = /** @type {CanvasCaptureMediaStreamTrack} */ (stream.getVideoTracks()[0]);
  const source =
    "requestFrame" in track ? track : /** @type {typeof track} */ (/** @type {unknown} */ (stream));
  const recorder = new MediaRecorder(stream, { mimeType: RECORDED_TYPE, videoBitsPerSecond: bitrate });
  /** @type {Blob[]} */
  const parts = [];
  recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
  let hasFailed = false;
  recorder.addEventListener("error", () => (hasFailed = true)); // "stop" follows
  const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  try {
    recorder.start(DATA_INTERVAL);
    const start = performance.now();
    for (let index = 0; index < count; index++) {
      draw(index);
      source.requestFrame();
      onFrame(index + 1);
      await pause(Math.max(start + ((index + 1) * 1000) / fps - performance.now(), 0), signal);
    }
    for (let wait = 0; !parts.some(({ size }) => size); wait++) {
      if (wait === MAX_WAITS) throw new ViewerError("The browser has recorded no image.");
      draw(count - 1); // a busy browser may have started the encoder only now
      source.requestFrame();
      await pause(DATA_INTERVAL, signal);
    }
  } finally {
    if (recorder.state !== "inactive") recorder.stop();
    track.stop();
  }
  await stopped;
  signal.throwIfAborted();
  if (hasFailed) throw new ViewerError("The browser could not record the video.");
  return new Blob(parts, { type: RECORDED_TYPE });
}

/**
 * Let the page respond.
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
async function pause(milliseconds, signal) {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  signal.throwIfAborted();
}
