const base = "ws://localhost:33393/api/v1/runners/moonlight-local/targets/moonlight";
const socket = new WebSocket(`${base}/api/ws/echo`, { headers: { authorization: "Bearer demo" } });
socket.onopen = () => socket.send("hello");
socket.onmessage = ({ data }) => {
  console.log(data);
  socket.close();
};

export {};
