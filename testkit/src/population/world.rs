use core::ops::Range;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use mail_dns::{Answer, Name, Question, Record};

use super::{DAY, Group, HOUR, Names, Population, START, chance, exponential, fraction};
use crate::Random;

/// The zone of the block list: whoever is in it has 127.0.0.2.
pub const BLOCK_LIST: &str = "block.list.example";
/// The zone of the white list: whoever is in it has 127.0.0.2.
pub const WHITE_LIST: &str = "white.list.example";
/// The domain of the server, and its name in HELO.
pub const LOCAL_DOMAIN: &str = "here.example";

/// What the DNS says of all senders.
#[derive(Debug)]
pub struct World {
    /// One name is asked for a million times: a [`mail_dns::Zone`], which keeps names in order, would take most of the time.
    records: HashMap<Name, Vec<Record>>,
    /// Entries of the block list, and from when on they are there.
    listed: HashMap<Name, u64>,
}

impl World {
    /// The answer to a question at a time.
    pub fn answer(&self, question: &Question, at: u64) -> Answer {
        match self.listed.get(&question.name) {
            Some(from) if at < *from => return Answer::nx_domain(),
            _ => {}
        }
        let Some(records) = self.records.get(&question.name) else {
            return Answer::nx_domain();
        };
        let of_kind = records
            .iter()
            .filter(|record| record.kind() == question.kind);
        Answer::found(of_kind.cloned())
    }

    fn insert(&mut self, name: Name, record: Record) {
        self.records.entry(name).or_default().push(record);
    }

    pub(super) fn new(population: &Population, random: &mut Random) -> (Self, Vec<Sender>) {
        let mut world = Self {
            records: HashMap::new(),
            listed: HashMap::new(),
        };
        // Test points, so that a server may ask whether the lists work (RFC 5782 §5).
        for list in [BLOCK_LIST, WHITE_LIST] {
            world.list(Ipv4Addr::new(127, 0, 0, 2), list);
        }
        let mut senders: Vec<Sender> = Vec::new();
        // Networks of 24 bits are given out in turn, from 11.0.0.0 on.
        let mut network = 0x0b00_0000_u32;
        for (index, group) in population.groups.iter().enumerate() {
            for _ in 0..group.senders.value {
                let mut random = Random::new(random.next());
                let addresses = addresses(group, network, &mut random);
                network += 256 * group.networks.value.max(1);
                let sender =
                    Sender::new(senders.len(), group, index, population, addresses, random);
                senders.push(world.know(sender, group));
            }
        }
        (world, senders)
    }

    /// Enters a sender into the DNS.
    fn know(&mut self, mut sender: Sender, group: &Group) -> Sender {
        let white = chance(&mut sender.random, group.white_listed.value);
        for (number, address) in sender.addresses.iter().enumerate() {
            let name = reverse_name(
                &mut sender.random,
                group.names.value,
                *address,
                number,
                &sender.domain,
            );
            let target = name.as_ref().and_then(|name| name.parse::<Name>().ok());
            if let Some(target) = target {
                let reverse = Name::reverse((*address).into());
                self.insert(reverse, Record::Ptr(target.clone()));
                let leads_to = match chance(&mut sender.random, group.confirmed.value) {
                    true => *address,
                    // TEST-NET-1 belongs to nobody.
                    false => Ipv4Addr::new(192, 0, 2, 1),
                };
                self.insert(target, Record::A(leads_to));
            }
            if sender.helo.is_empty() && number == 0 {
                sender.helo = name.unwrap_or_else(|| format!("mail.{}", sender.domain));
            }
            if chance(&mut sender.random, group.block_listed.value) {
                let after = group.listed_after_hours.value;
                let from = match after > 0.0 {
                    true => sender.active.start + (after * HOUR) as u64,
                    false => 0,
                };
                let entry = self.list(*address, BLOCK_LIST);
                self.listed.extend(entry.map(|entry| (entry, from)));
            }
            if white {
                self.list(*address, WHITE_LIST);
            }
        }
        sender
    }

    fn list(&mut self, address: Ipv4Addr, list: &str) -> Option<Name> {
        let zone: Name = list.parse().ok()?;
        let entry = Name::reverse_below(address.into(), &zone).ok()?;
        self.insert(entry.clone(), Record::A(Ipv4Addr::new(127, 0, 0, 2)));
        Some(entry)
    }
}

/// One sender, and what is random about it.
#[derive(Debug)]
pub(super) struct Sender {
    /// Which of all it is.
    pub(super) number: usize,
    pub(super) group: usize,
    pub(super) honest: bool,
    pub(super) domain: String,
    pub(super) helo: String,
    pub(super) early_talker: bool,
    pub(super) active: Range<u64>,
    pub(super) random: Random,
    addresses: Vec<Ipv4Addr>,
}

impl Sender {
    fn new(
        number: usize,
        group: &Group,
        index: usize,
        population: &Population,
        addresses: Vec<Ipv4Addr>,
        mut random: Random,
    ) -> Self {
        let days = f64::from(population.days.value);
        let (all, active) = (days * DAY, group.active_days.value.min(days) * DAY);
        let start = START + (fraction(&mut random) * (all - active)) as u64;
        // Nobody begins at the same second.
        let first = exponential(&mut random, DAY / group.messages_a_day.value);
        let domain = match group.honest {
            true => format!("domain{number}.example"),
            false => format!("bulk{number}.example"),
        };
        let words = group.helo.value;
        let helo = match pick(&mut random, [words.other, words.bare, words.ours]) {
            Some(0) => format!("host{number}.internal.example"),
            Some(1) => format!("host{number}"),
            Some(_) => format!("mail.{LOCAL_DOMAIN}"),
            None => String::new(),
        };
        Self {
            number,
            group: index,
            honest: group.honest,
            domain,
            helo,
            early_talker: chance(&mut random, group.early_talker.value),
            active: start + first..start + active as u64,
            random,
            addresses,
        }
    }

    /// One of its addresses, another each time.
    pub(super) fn address(&mut self) -> IpAddr {
        let at = self.random.below(self.addresses.len());
        self.addresses[at].into()
    }
}

/// The addresses of a sender, spread over its networks.
fn addresses(group: &Group, first_network: u32, random: &mut Random) -> Vec<Ipv4Addr> {
    let networks = group.networks.value.max(1);
    let each = group.addresses.value.div_ceil(networks).min(250);
    let mut addresses = Vec::new();
    for number in 0..group.addresses.value.min(each * networks) {
        let host = match each {
            // One host may stand anywhere in its network.
            1 => 1 + random.below(250) as u32,
            _ => 1 + number / networks,
        };
        addresses.push((first_network + 256 * (number % networks) + host).into());
    }
    addresses
}

/// The name of an address, by what those who give such names do.
fn reverse_name(
    random: &mut Random,
    names: Names,
    address: Ipv4Addr,
    number: usize,
    domain: &str,
) -> Option<String> {
    let [a, b, c, d] = address.octets();
    let isp = format!("isp{}.example", u16::from(b) % 40);
    let kind = pick(
        random,
        [names.missing, names.dial_up, names.numbered_server],
    );
    let form = random.below(5);
    match (kind, form) {
        (Some(0), _) => None,
        (Some(1), 0) => Some(format!("dsl-{a}-{b}-{c}-{d}.pool.{isp}")),
        (Some(1), 1) => Some(format!("p{:05}.ppp.area{c}.{isp}", random.below(100_000))),
        (Some(1), 2) => Some(format!("{d}.{c}.{b}.{a}.dyn.{isp}")),
        (Some(1), 3) => Some(format!("host{d}.{b}-{c}.broad.{isp}")),
        // Not all lines have numbers that a rule knows.
        (Some(1), _) => Some(format!("cust-{:x}.line.{isp}", c % 16)),
        (Some(_), 0..3) => Some(format!(
            "mail-{}-{}{number}.{domain}",
            form + 1,
            (b'a' + c % 26) as char
        )),
        (Some(_), _) => Some(format!("vps{a}{b:03}{c:03}{d:03}.{domain}")),
        (None, _) if number == 0 => Some(format!("mail.{domain}")),
        (None, _) => Some(format!("out{number}.{domain}")),
    }
}

/// Which of these shares of 1 it is; none for the rest.
fn pick<const N: usize>(random: &mut Random, shares: [f64; N]) -> Option<usize> {
    let mut left = fraction(random);
    shares.iter().position(|share| {
        left -= share;
        left < 0.0
    })
}
