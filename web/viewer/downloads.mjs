// What the user can download besides the image: the Gaussians of a frame, the file, the page.

import { download } from "./dom.mjs";
import { encodePly } from "./ply.mjs";

/**
 * A file to download.
 * @typedef {object} Download
 * @property {string} label
 * @property {string} hint tooltip
 * @property {() => void} save
 */

/**
 * @typedef {object} DownloadSource
 * @property {string} title names the files
 * @property {number} frame that is shown
 * @property {import("./s4d.mjs").S4DFile} file
 * @property {Uint8Array<ArrayBuffer>} bytes of the .s4d file
 */

/**
 * Return the files that can be downloaded.
 * @param {() => DownloadSource} source called when the user has chosen one
 * @param {() => Blob} [page] returns the self-contained page, if the viewer is on one
 * @returns {Download[]}
 */
export function downloadsOf(source, page) {
  const savePly = () => {
    const { title, frame, file } = source();
    download(encodePly(file, frame), `${frameName(title, frame)}.ply`);
  };
  const saveFile = () => {
    const { title, bytes } = source();
    download(new Blob([bytes], { type: "application/octet-stream" }), `${title}.s4d`);
  };
  const downloads = [
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
