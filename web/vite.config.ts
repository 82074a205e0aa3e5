import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run web` finds the API while the pages are worked on. */
const SERVER = process.env.BERTH_SERVER ?? "http://127.0.0.1:7070";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The policy of the pages lets in no script that is written into them.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": SERVER } },
});
