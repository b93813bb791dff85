// What the user can download besides the image: a video, the Gaussians of a frame, the file, the page.

import { download } from "./dom.mjs";
import { encodePly } from "./ply.mjs";

const VIDEO_HINT =
  "Record one loop from this camera; as WebM, without the workflow, if the browser cannot encode MP4";

/**
 * A file to download.
 * @typedef {object} Download
 * @property {string} label
 * @property {string} hint tooltip
 * @property {boolean} [isOfImage] whether it shows what the image shows, in a comparison both scenes
 * @property {() => Promise<void> | void} save
 */

/**
 * @typedef {object} DownloadSource
 * @property {string} title names the files
 * @property {import("./viewport.mjs").Viewport} viewport
 * @property {Uint8Array<ArrayBuffer>} bytes of the .s4d file
 * @property {() => Promise<Record<string, string>>} metadata returns JSON by name to store in videos
 */

/**
 * Return the files that can be downloaded.
 * @param {() => DownloadSource} source called when the user has chosen one
 * @param {() => Blob} [page] returns the self-contained page, if the viewer is on one
 * @returns {Download[]}
 */
export function downloadsOf(source, page) {
  const saveVideo = async () => {
    const { title, viewport, metadata } = source();
    const video = await viewport.recording.record(viewport, await metadata());
    if (video) download(video, `${title}.${video.type.replace("video/", "")}`);
  };
  const savePly = () => {
    const { title, viewport } = source();
    if (!viewport.scene) return; // the bar is disabled
    const { frame } = viewport.clock;
    download(encodePly(viewport.scene.file, frame), `${frameName(title, frame)}.ply`);
  };
  const saveFile = () => {
    const { title, bytes } = source();
    download(new Blob([bytes], { type: "application/octet-stream" }), `${title}.s4d`);
  };
  const video = globalThis.VideoEncoder ? "MP4 video" : "WebM video, without workflow";
  const downloads = [
    { label: video, hint: VIDEO_HINT, isOfImage: true, save: saveVideo },
    { label: "PLY of this frame", hint: "Save the Gaussians of the shown frame as 3DGS PLY", save: savePly },
    { label: "Scene (.s4d)", hint: "Save all frames as .s4d file of this viewer", save: saveFile },
  ];
  if (!page) return downloads;
  const savePage = () => download(page(), `${source().title}.html`);
  return [
    ...downloads,
    { label: "Page (.html)", hint: "Save this page, which plays without a network", save: savePage },
  ];
}

/**
 * Return the name, without suffix, of a file of one frame.
 * @param {string} title
 * @param {number} frame
 */
export function frameName(title, frame) {
  return `${title}_frame${String(frame).padStart(4, "0")}`;
}
