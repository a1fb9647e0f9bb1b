import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// FLOWMATE_API: where `npm run dev` finds a running API.
const api = process.env["FLOWMATE_API"] ?? "http://127.0.0.1:33111";

export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "../static/ui",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the content security policy allows files of our own, no data: URLs
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": { target: api, changeOrigin: true, headers: { Origin: api } } } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
