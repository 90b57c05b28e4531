/** The style sheet of the reference. Its hash is in the page's policy. */
export const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; }
nav { columns: 18rem; font-size: 0.9rem; }
nav ul { margin: 0; padding-left: 1rem; }
nav details { break-inside: avoid; margin-bottom: 0.5rem; }
nav summary { font-weight: bold; }
h2 { border-bottom: 1px solid; margin-top: 2.5rem; text-transform: capitalize; }
h3 { margin: 2rem 0 0; }
h4 { margin: 0.75rem 0 0; }
section:target { outline: 2px solid; outline-offset: 0.5rem; }
pre { background: color-mix(in srgb, CanvasText 7%, Canvas); margin: 0.25rem 0; overflow-x: auto; padding: 0.5rem; }
table { border-collapse: collapse; margin: 0.5rem 0; }
td, th { border: 1px solid color-mix(in srgb, CanvasText 25%, Canvas); padding: 0.2rem 0.6rem; text-align: left; vertical-align: top; }
dt { float: left; font-weight: bold; width: 5rem; }
dd { margin-left: 5rem; }
.note { color: color-mix(in srgb, CanvasText 70%, Canvas); font-size: 0.9rem; margin-top: 0; }
`;
