"use strict";
// Browsers show no frame whose address is longer than 2 MB, as that of a page within the report may be.
// A page that is kept in memory has a short one.
addEventListener("DOMContentLoaded", () => {
  for (const result of Object.values(results)) {
    if (result.mime_type !== "text/html" || !result.data_uri.startsWith("data:")) continue;
    const content = atob(result.data_uri.slice(result.data_uri.indexOf(",") + 1));
    const bytes = Uint8Array.from(content, letter => letter.charCodeAt(0));
    result.data_uri = URL.createObjectURL(new Blob([bytes], { type: "text/html" }));
  }
});
