from twisted.application.reactors import Reactor

uvloop = Reactor("uvloop", "hello_service.daemon.uvreactor", "uvloop, connections and all.")
