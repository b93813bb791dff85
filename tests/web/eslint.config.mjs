// ESLint's recommended rules for the viewer, the widget of STAG4D Preview and their tests.

import js from "@eslint/js";
import { defineConfig } from "eslint/config";
import globals from "globals";

export default defineConfig([
  { files: ["**/*.{js,mjs}"], plugins: { js }, extends: ["js/recommended"] },
  { files: ["web/**"], languageOptions: { globals: globals.browser } },
  { files: ["tests/web/**"], languageOptions: { globals: globals.node } },
]);
